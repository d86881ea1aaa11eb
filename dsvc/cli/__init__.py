"""The `dsvc` command: parse, call, print."""
