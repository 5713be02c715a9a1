"""Ansible finds plugins by the name of this folder."""
