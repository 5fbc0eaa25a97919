"""The local stack: a real Kubernetes control plane, a real Gerrit, a real Vault, the Databricks simulator and a stand-in
for AWS, as plain processes.

`dev/stack` is the way in. Reading order: `stack` (up, down, status), one file per system (`kubernetes`, `gerrit`,
`simulator`, `vault`, `aws`), then what they stand on: `server` (one process that listens), `state` (what a state directory
holds), `process` (start, recognise, stop), `cache` (tools kept for every later checkout), `progress` (what a person sees
while waiting). Standard library only.
"""
