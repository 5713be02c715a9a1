"""Trust on other machines: the kit, the page, the server that offers both, and runs on hosts and nodes."""
