"""Action plugin of the playbook; Ansible finds plugins by the name of this folder."""
