"""Several pods, one context: who holds it, who may, and how a call gets there.

`members` (who is there), `homes` (who keeps a context's pointer) and `node` (the protocol) are
pure; docs/decisions/0005-one-context-many-pods.md says why they are as they are.
"""
