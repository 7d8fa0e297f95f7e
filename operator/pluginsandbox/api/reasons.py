"""The closed list of reasons that a condition can have, each with what to do about it.

The operator uses no other word, the documentation is made from this table, and a reason's text
here is what the message of a condition may lean on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a condition is as it is; `REASONS` explains each."""

    AVAILABLE = "Available"
    SUSPENDED = "Suspended"
    SCALED_TO_ZERO = "ScaledToZero"
    PROGRESSING = "Progressing"
    PODS_NOT_READY = "PodsNotReady"
    SOURCE_NOT_LABELLED = "SourceNotLabelled"

    ROLLED_OUT = "RolledOut"
    ROLLING_OUT = "RollingOut"
    STOPPING = "Stopping"
    SOURCE_MISSING = "SourceMissing"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    MOUNT_FAILED = "MountFailed"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_REFUSED = "PodRefused"
    UNSCHEDULABLE = "Unschedulable"
    POD_CRASHING = "PodCrashing"
    REQUEST_REFUSED = "RequestRefused"
    OPERATOR_ERROR = "OperatorError"

    NOT_STALLED = "NotStalled"
    STALLED = "Stalled"
    SPEC_INVALID = "SpecInvalid"
    NAME_CONFLICT = "NameConflict"
    NOT_ALLOWED = "NotAllowed"
    SOURCE_TOO_LARGE = "SourceTooLarge"
    PLUGIN_INVALID = "PluginInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    CONFINEMENT_IMPOSSIBLE = "ConfinementImpossible"
    TIMED_OUT = "TimedOut"

    ALL_LOADED = "AllLoaded"
    LOADING = "Loading"
    LOAD_FAILED = "LoadFailed"
    PROVEN = "Proven"
    PARTLY_CONFINED = "PartlyConfined"
    PROVING = "Proving"
    HOSTS_UNREACHABLE = "HostsUnreachable"
    NO_PODS = "NoPods"

    FOLLOWS_LOAD = "FollowsLoad"
    MANUAL_REPLICAS = "ManualReplicas"
    SCALING_PAUSED = "ScalingPaused"
    FIXED_REPLICAS = "FixedReplicas"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What a reason tells the person on call."""

    conditions: str
    """Where it occurs: condition and status, such as `Ready=True`."""
    meaning: str
    cause: str
    action: str


_NONE = "Nothing."

REASONS: Mapping[Reason, Explanation] = {
    Reason.AVAILABLE: Explanation(
        "Ready=True", "As many pods as wanted take calls.", "All is well.", _NONE
    ),
    Reason.SUSPENDED: Explanation(
        "Ready=True, ScalingActive=False",
        "There are no pods, as asked.",
        "`spec.operatingMode` is Suspended.",
        "Set `spec.operatingMode: Running` to resume.",
    ),
    Reason.SCALED_TO_ZERO: Explanation(
        "Ready=True",
        "There are no pods, as asked.",
        "`spec.replicas` is 0.",
        "Set `spec.replicas` to the number of pods you want, or remove it.",
    ),
    Reason.PROGRESSING: Explanation(
        "Ready=Unknown, ScalingActive=Unknown",
        "A change is being rolled out.",
        "The spec or a source changed; the condition Reconciling says how far it is.",
        "Wait; after 120 s the condition Stalled names what is in the way.",
    ),
    Reason.PODS_NOT_READY: Explanation(
        "Ready=False",
        "Fewer pods than wanted are ready.",
        "A pod or its node was lost, or a host left readiness; nothing changed in the spec.",
        "Look at the pods: `kubectl get pods -l pluginsandbox.dev/sandbox=<name>`.",
    ),
    Reason.SOURCE_NOT_LABELLED: Explanation(
        "Ready=False",
        "A ConfigMap with a plugin's files is not watched, so its changes arrive late.",
        "It lacks the label `pluginsandbox.dev/source=true`.",
        "`kubectl label configmap <name> pluginsandbox.dev/source=true`.",
    ),
    Reason.ROLLED_OUT: Explanation(
        "Reconciling=False", "The cluster is as the spec and the sources ask.", "Done.", _NONE
    ),
    Reason.ROLLING_OUT: Explanation(
        "Reconciling=True",
        "New pods are starting, or old ones are leaving.",
        "The spec or a source changed.",
        "Wait; the message says how many pods are new and ready.",
    ),
    Reason.STOPPING: Explanation(
        "Reconciling=True",
        "The last pods are giving their contexts back and leaving.",
        "The sandbox was suspended or scaled to zero.",
        "Wait at most `spec.host.terminationGraceSeconds`.",
    ),
    Reason.SOURCE_MISSING: Explanation(
        "Reconciling=True, later Stalled=True",
        "A ConfigMap with a plugin's files does not exist.",
        "It was not applied yet, is misspelt, or is in another namespace.",
        "Create it in the sandbox's namespace, or mend `spec.plugins[].source.configMap.name`.",
    ),
    Reason.IMAGE_PULL_FAILED: Explanation(
        "Reconciling=True, later Stalled=True",
        "The kubelet cannot pull the host's image or a plugin's.",
        "The reference is wrong, the registry is not reachable, or it wants credentials.",
        "Mend `source.image.reference`; for credentials ask for `spec.pod.imagePullSecrets`.",
    ),
    Reason.MOUNT_FAILED: Explanation(
        "Reconciling=True, later Stalled=True",
        "The kubelet cannot mount a volume of the pod.",
        "A Secret of `plugins[].secrets` is missing, or the node has no image volumes.",
        "Create the Secret that the message names, or use nodes that mount image volumes.",
    ),
    Reason.QUOTA_EXCEEDED: Explanation(
        "Reconciling=True, later Stalled=True",
        "The namespace's quota has no room for a pod.",
        "A ResourceQuota; the message names it and what it lacks.",
        "Raise the quota, or lower `limits.memory`, `limits.maxContexts` or `limits.workers`.",
    ),
    Reason.POD_REFUSED: Explanation(
        "Reconciling=True, later Stalled=True",
        "The API server refuses the pod.",
        "Pod Security, a LimitRange or an admission webhook; the message quotes it.",
        "Change what the message names; sandbox pods pass Pod Security `restricted`.",
    ),
    Reason.UNSCHEDULABLE: Explanation(
        "Reconciling=True, later Stalled=True",
        "No node takes a pod.",
        "Too little free memory or CPU, or selectors, taints and affinity leave no node.",
        "Add nodes, or lower `spec.host.resources` and the plugins' limits.",
    ),
    Reason.POD_CRASHING: Explanation(
        "Reconciling=True, later Stalled=True",
        "The host starts and ends again.",
        "It was killed for memory, or it cannot read its configuration.",
        "Read `kubectl logs --previous` of the pod that the message names.",
    ),
    Reason.REQUEST_REFUSED: Explanation(
        "Reconciling=True, later Stalled=True",
        "The API server refuses an object of this sandbox.",
        "An admission webhook, a policy, a quota on objects, missing permission of the operator, "
        "or a namespace that is being deleted; the message quotes it.",
        "Change what the message names; the operator tries again by itself.",
    ),
    Reason.OPERATOR_ERROR: Explanation(
        "Reconciling=True, later Stalled=True",
        "The operator failed unexpectedly while it worked on this sandbox.",
        "A defect of the operator, or an API server that does not answer.",
        "Read the operator's log for this sandbox; it tries again by itself.",
    ),
    Reason.NOT_STALLED: Explanation(
        "Stalled=False", "Nothing is in the way.", "All is well, or still in time.", _NONE
    ),
    Reason.STALLED: Explanation(
        "Reconciling=False",
        "The change is not rolled out, and waiting will not help.",
        "See the condition Stalled.",
        "Do what the condition Stalled says.",
    ),
    Reason.SPEC_INVALID: Explanation(
        "Stalled=True",
        "The operator cannot read the spec.",
        "The CRD in the cluster is of another version than the operator and let it pass.",
        "Mend the fields that the message names, or upgrade the CRD with the chart.",
    ),
    Reason.NAME_CONFLICT: Explanation(
        "Stalled=True",
        "An object of the name that the sandbox needs exists and belongs to someone else.",
        "Made by hand or by another controller; it is never adopted or changed. A ConfigMap that "
        "claims to be a snapshot of the sandbox and holds something else counts as well.",
        "Delete or rename that object, or give the sandbox another name.",
    ),
    Reason.NOT_ALLOWED: Explanation(
        "Stalled=True",
        "The spec sets a field that only an administrator may set here.",
        "The operator's configuration does not list the field for this namespace.",
        "Remove the field, or ask for the chart value that the message names.",
    ),
    Reason.SOURCE_TOO_LARGE: Explanation(
        "Stalled=True",
        "The ConfigMap sources are over 900 KiB in all.",
        "They are copied into one ConfigMap, which holds at most 1 MiB.",
        "Ship the larger plugins as images: `source.image`.",
    ),
    Reason.PLUGIN_INVALID: Explanation(
        "Stalled=True, PluginsLoaded=False",
        "A plugin cannot be loaded, and trying again will not help.",
        "A syntax error, a missing import or class, or a bad annotation; the message quotes it.",
        "Mend the plugin and change its source, or mend `entryPoint`.",
    ),
    Reason.DIGEST_MISMATCH: Explanation(
        "Stalled=True, PluginsLoaded=False",
        "A plugin's files are not those that `digest` names; they were not loaded.",
        "The source changed without the digest, or the wrong artefact was delivered.",
        "Check where the files came from; then set `digest` to the value in the message.",
    ),
    Reason.CONFINEMENT_IMPOSSIBLE: Explanation(
        "Stalled=True, Confined=False",
        "The node cannot confine plugins as `Strict` asks, so none was loaded.",
        "Its kernel lacks Landlock, or seccomp filters are refused; the message says what.",
        "Use nodes with Landlock (Linux 5.13 and later, enabled at boot); "
        "`confinement: BestEffort` needs the administrator's consent.",
    ),
    Reason.TIMED_OUT: Explanation(
        "Stalled=True",
        "The change is not rolled out after 120 s, and no single cause was found.",
        "Slow nodes or images, or plugins that take long to load.",
        "Look at the pods and their events; the operator goes on by itself.",
    ),
    Reason.ALL_LOADED: Explanation(
        "PluginsLoaded=True", "Every plugin is loaded on every ready pod.", "All is well.", _NONE
    ),
    Reason.LOADING: Explanation(
        "PluginsLoaded=False", "Some pod is still loading a plugin.", "It just started.", "Wait."
    ),
    Reason.LOAD_FAILED: Explanation(
        "PluginsLoaded=False",
        "A plugin failed to load on some pod.",
        "See the message and `status.plugins`.",
        "Mend what the message names; a passing cause heals by itself.",
    ),
    Reason.PROVEN: Explanation(
        "Confined=True",
        "Every ready pod tried the wall, and all of it held.",
        "All is well.",
        _NONE,
    ),
    Reason.PARTLY_CONFINED: Explanation(
        "Confined=False",
        "Plugins run, but a part of the wall is missing.",
        "`confinement: BestEffort` on a node that cannot do all; the message says what is missing.",
        "Use nodes with Landlock, then `confinement: Strict`.",
    ),
    Reason.PROVING: Explanation(
        "Confined=Unknown", "No pod has reported its proof yet.", "It just started.", "Wait."
    ),
    Reason.HOSTS_UNREACHABLE: Explanation(
        "PluginsLoaded=Unknown, Confined=Unknown, ScalingActive=Unknown",
        "The operator cannot read what the hosts report; calls may well be served. The number of "
        "pods stays as it was.",
        "A network policy or a mesh between the operator and port 9090 of the pods.",
        "Let the operator's namespace reach port 9090 of sandbox pods.",
    ),
    Reason.NO_PODS: Explanation(
        "PluginsLoaded=Unknown, Confined=Unknown, ScalingActive=Unknown",
        "There is no pod that could report.",
        "The sandbox is suspended, scaled to zero, or its first pod has not started.",
        "Nothing, if that is as asked.",
    ),
    Reason.FOLLOWS_LOAD: Explanation(
        "ScalingActive=True", "The number of pods follows the load.", "All is well.", _NONE
    ),
    Reason.MANUAL_REPLICAS: Explanation(
        "ScalingActive=False",
        "There are as many pods as `spec.replicas` says, whatever the load.",
        "Somebody set it, by `kubectl scale` or in the manifest.",
        "To let the load decide again, remove it; the message has the command.",
    ),
    Reason.SCALING_PAUSED: Explanation(
        "ScalingActive=False",
        "The number of pods is held as it is.",
        "`spec.scaling.paused` is Both.",
        "Set `spec.scaling.paused: None` to go on.",
    ),
    Reason.FIXED_REPLICAS: Explanation(
        "ScalingActive=False",
        "The number of pods is always the same.",
        "`spec.scaling.maxReplicas` is absent, or equal to minReplicas.",
        "Set `spec.scaling.maxReplicas` above minReplicas to let it follow the load.",
    ),
}
