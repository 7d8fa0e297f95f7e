"""Enforces NetworkPolicies on the local node.

`model` reads objects, `compiler` turns them into one nft table, both pure; `watch` follows the API
server and `agent` is the process that applies the table whenever it changes.

All pods' packets pass the node's forward hook, those for a Service after kube-proxy has put in the
pod's own address, so one table on the node is enough. The node itself may always reach its pods,
as Kubernetes demands for probes. A new pod is guarded as soon as its address is known to the API
server, a moment after its start.
"""
