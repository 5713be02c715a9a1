"""Trust in the registry: installed in each client's store, checked, and uninstalled again."""
