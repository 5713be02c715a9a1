"""The lab: hosts made of containers, each with an engine, an address and a user of its own."""
