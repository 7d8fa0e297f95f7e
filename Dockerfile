# Two images from one file:
#
#   docker build --target host     --tag pluginsandbox/host .
#   docker build --target operator --tag pluginsandbox/operator .
#
# BASE is any Debian from trixie on, with or without Python. Its packages are used to assemble the
# images; only the files that Python itself needs end up in them: no shell, no package manager, no
# pip, no compiler, nothing for a plugin to execute.
#
# Behind a package mirror of your own: --secret id=pip.conf,src=FILE and --secret id=ca.pem,src=FILE
# (name it in pip.conf: `cert = /run/secrets/ca.pem`). Neither is written into an image.
ARG BASE=debian:trixie-slim

# Debian with Python and pip: where everything is assembled.
FROM ${BASE} AS system
RUN python3 -c 'import pip' 2>/dev/null || { \
      apt-get update && \
      DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libstdc++6 media-types netbase python3 python3-pip tzdata && \
      rm -rf /var/lib/apt/lists/*; \
    }

# The files of Python's Debian packages and of every library that they link against, the standard
# library compiled; with Debian's licence texts, and the package records that scanners read.
FROM system AS python
RUN set -eu; \
    python=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' | \
      sed -nE 's/^((lib)?python3(-stdlib|-minimal|\.[0-9]+(-stdlib|-minimal)?)?) ii.*/\1/p'); \
    libraries=$(dpkg -L $python | grep -E '\.so$|^/usr/bin/python3\.[0-9]+$' | xargs ldd | \
      sed -nE 's/.*(=> |^\s)(\/[^ ]+) \(.*/\2/p' | sort -u | xargs realpath | xargs dpkg -S | \
      cut -d: -f1 | sort -u); \
    runtimes=$(dpkg-query -W -f '${Package}\n' 'gcc-*-base' libgcc-s1 libstdc++6); \
    packages="base-files media-types netbase tzdata $python $libraries $runtimes"; \
    mkdir -p /image/var/lib/dpkg/status.d; \
    for package in $packages; do \
      dpkg -L "$package"; \
      dpkg-query -s "$package" > "/image/var/lib/dpkg/status.d/$package"; \
    done | sort -u | grep -vE \
      -e '^/usr/share/(bug|info|lintian|locale|man|pixmaps|python3|zsh)(/|$)' \
      -e '^/usr/share/doc/[^/]+/([^c]|c[^o]|copyright.)' \
      -e '^/usr/share/zoneinfo/(posix|right)(/|$)' \
      -e '^/usr/lib/[^/]+/gconv(/|$)' \
      -e '^/usr/bin/([^p]|p[^y]|py[^t])' \
      -e '^/usr/lib/python3\.[0-9]+/test(/|$)' \
      -e '^/usr/lib/python3\.[0-9]+/lib-dynload/_(ctypes_)?test' \
      -e '^/(usr/sbin|var/lib/dpkg)/.' | \
    tar --create --no-recursion --files-from=- | tar --extract --directory=/image; \
    printf 'root:x:0:0::/root:/sbin/nologin\nsandbox:x:65532:65532::/:/sbin/nologin\n' \
      > /image/etc/passwd; \
    printf 'root:x:0:\nsandbox:x:65532:\n' > /image/etc/group; \
    ldconfig -r /image; \
    python3 -m compileall -q -j 0 -s /image --invalidation-mode unchecked-hash \
      /image/usr/lib/python3.*

FROM system AS host-packages
COPY requirements/host.lock /
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    set -eu; \
    out=/out$(python3 -c 'import site; print(site.getsitepackages()[0])'); \
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile \
      --no-deps --only-binary :all: --require-hashes --target "$out" --requirement /host.lock; \
    rm -rf "$out/bin" "$out"/uvloop/*.p?? "$out"/uvloop/*/*.p??; \
    python3 -m compileall -q -j 0 -s /out --invalidation-mode unchecked-hash "$out"

# Of the Kubernetes client nine tenths are generated classes for every kind there is; the operator
# speaks plain JSON and imports none of them (tests/unit/chart holds it to that).
FROM system AS operator-packages
COPY requirements/operator.lock /
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    set -eu; \
    out=/out$(python3 -c 'import site; print(site.getsitepackages()[0])'); \
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile \
      --no-deps --only-binary :all: --require-hashes --target "$out" --requirement /operator.lock; \
    rm -rf "$out/bin"; \
    find "$out"/kubernetes/client "$out"/kubernetes/aio/client -path '*/client/*/*.py' \
      ! -name __init__.py ! -name custom_objects_api.py -delete; \
    python3 -m compileall -q -j 0 -s /out --invalidation-mode unchecked-hash "$out"

# Our own code; each image carries its half.
FROM system AS code
COPY operator/pluginsandbox /pluginsandbox
RUN set -eu; \
    for image in host operator; do \
      out=/$image$(python3 -c 'import site; print(site.getsitepackages()[0])'); \
      mkdir -p "$out" "/$image/usr/local/bin"; \
      cp -r /pluginsandbox "$out/"; \
      printf '%s\n' '#!/usr/bin/python3 -sP' 'import sys' \
        'from pluginsandbox.cli import main' 'sys.exit(main())' \
        > "/$image/usr/local/bin/pluginsandbox"; \
      chmod 755 "/$image/usr/local/bin/pluginsandbox"; \
    done; \
    rm -r /host/usr/local/lib/*/*/pluginsandbox/controller \
      /operator/usr/local/lib/*/*/pluginsandbox/host; \
    for image in host operator; do \
      python3 -m compileall -q -s "/$image" --invalidation-mode unchecked-hash "/$image"; \
    done

FROM scratch AS base
COPY --from=python /image/ /
ENV LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
LABEL org.opencontainers.image.licenses=Apache-2.0

FROM base AS operator
COPY --from=operator-packages /out/ /
COPY --from=code /operator/ /
LABEL org.opencontainers.image.title="PluginSandbox operator"
ENTRYPOINT ["pluginsandbox", "operator"]

FROM base AS host
COPY --from=host-packages /out/ /
COPY --from=code /host/ /
LABEL org.opencontainers.image.title="PluginSandbox host"
ENTRYPOINT ["pluginsandbox", "host"]
