"""Trust on this machine: its state, the plan of a change, the installation, the check, and the removal."""
