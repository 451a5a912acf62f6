"""Recurrent networks. They know ids, never characters. `config` and `cells` need no torch."""
