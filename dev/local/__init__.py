"""The local stack: a real Kubernetes control plane, a real Gerrit and the Databricks simulator, as plain processes.

`dev/stack` is the way in. Reading order: `stack` (up, down, status), one file per system (`kubernetes`, `gerrit`,
`simulator`), then what they stand on: `state` (what a state directory holds), `process` (start, recognise, stop),
`cache` (tools kept for every later checkout), `progress` (what a person sees while waiting). Standard library only.
"""
