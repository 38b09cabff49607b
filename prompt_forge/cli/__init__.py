"""One module a command group. Each imports what it runs inside its functions, so that `--help` stays instant."""
