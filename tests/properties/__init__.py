"""Whatever a person types: refused with a cure, or taken and then meant letter for letter wherever it arrives.

Paths, templates, configuration files, scripts and commands are read back by the parsers that read them in earnest.
`pytest --hypothesis-profile=long` tries 10,000 inputs of each kind; fewer of those that start a program.
"""
