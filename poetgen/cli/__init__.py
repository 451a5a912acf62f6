"""The command line: one file a command. Nothing else imports it.

Modules here import only click, the forms and the errors at their top; whatever is heavier comes
in inside a command's body, so that `poetgen --help` answers at once.
"""
