"""What Ansible reads and runs: a playbook, and beside it, where Ansible looks, the two plugins that it needs."""
