"""Images in the storage of a registry: listed, measured, found broken, mended.

The fake engine's container has a folder as its storage, and its programs are this machine's own.
"""
