"""RouterOS scripts: the language of MikroTik's scripting manual, run on the
simulator's tables.

Written from that manual alone, never from a look at who writes scripts. What
the manual does not promise is an error here, even where some router takes it:
a script that passes uses known syntax only.

Where to find what: `lexer` characters, strings, words; `expressions`,
`parser` the tree of a script (`tree`); `values`, `operators`, `patterns`,
`builtins` what values do; `console` the menus as scripts see them;
`evaluate`, `rows`, `run` the interpreter: values, commands of menus, commands
of the language; `jobs` scripts that run, a slice at a time; `scheduler` when;
`library` the scripts of a router and their rights.

A script is parsed as a whole before its first command runs: an unknown
command, parameter or variable keeps it from doing anything.
"""
