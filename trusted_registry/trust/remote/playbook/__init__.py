"""Ansible's playbook for the kit; its two plugins are beside, in folders that Ansible searches."""
