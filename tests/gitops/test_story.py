"""Git alone brings an empty cluster to a serving sandbox, and takes it through its life."""

from __future__ import annotations

import pytest

from tests.bed.platform import Platform
from tests.gitops import tour
from tests.gitops.story import GREETING, SANDBOX

pytestmark = [pytest.mark.pods, pytest.mark.timeout(900)]


def test_a_sandbox_lives_by_commits_alone_and_argo_cd_shows_how_it_is(cluster: Platform) -> None:
    with tour.told(cluster) as telling:
        _, healthy = telling.serve()
        assert healthy["pluginsandbox"] < healthy["hello"], "the operator's wave comes first"
        rolled = telling.rewrite(GREETING, GREETING.replace("Hello", "Good day"), "Healthy")
        assert rolled == ["Healthy", "Progressing", "Healthy"]
        failed = telling.rewrite("class Hello(", "class Hullo(", "Degraded")
        assert failed == ["Healthy", "Progressing", "Degraded"]
        mended = telling.rewrite("class Hullo(", "class Hello(", "Healthy")
        assert mended[-1] == "Healthy"
        assert "Suspended" not in mended
        assert telling.operate("Suspended", "Suspended")[-1] == "Suspended"
        assert telling.operate("Running", "Healthy")[-1] == "Healthy"
        telling.widen(2, refresh=True)
        assert "psb hello" in telling.override(3)
        revision, decision = telling.follow(4)
        assert (decision["to"], decision["revision"]) == (4, revision)
        assert telling.watcher.drifted_seconds(SANDBOX) == 0
        telling.leave()
