"""Durable state goes from a plugin's old code to its new code, which is told whose it was."""

from __future__ import annotations

import textwrap
from pathlib import Path

from pluginsandbox.verify.digest import tree_digest
from tests.integration.group_bed import LEDGER, sandbox
from tests.integration.host_bed import Answer, Host

TOO_MUCH = 50
UPGRADED = f"""{LEDGER}
    def on_restore(self, from_digest: str) -> None:
        print("restored from", from_digest)
        if self.total.get() >= {TOO_MUCH}:
            raise ValueError("written by a version that nobody knows any more")
"""


def add(host: Host, context: str, amount: int = 1, **headers: str) -> Answer:
    return host.call("add", {"amount": amount}, context, plugin="ledger", **headers)


def test_new_code_goes_on_with_durable_state_of_the_old_or_refuses_it(tmp_path: Path) -> None:
    with sandbox(tmp_path, termination_grace_seconds=15) as group:
        old = group.start()
        assert add(old.host, "kept", 7).json == [7, 7]
        assert add(old.host, "refused", TOO_MUCH).json == [TOO_MUCH, TOO_MUCH]
        group.ledger = UPGRADED
        new = group.start()
        group.agree()
        group.stop(old)
        kept = add(new.host, "kept", Sandbox_Bind="existing")
        assert (kept.status, kept.json) == (200, [8, 1]), "what is not durable begins anew"
        written_by = tree_digest({"code_of_it.py": textwrap.dedent(LEDGER).encode()})
        new.host.until(lambda: new.host.said(f"restored from {written_by}"))
        refused = add(new.host, "refused")
        assert (refused.status, refused.json["executed"]) == (410, "no")
        assert "nobody knows any more" in refused.json["detail"]
        afresh = add(new.host, "refused")
        assert (afresh.status, afresh.json, afresh.new) == (200, [1, 1], True)
