"""The laboratory: experiments that show what recurrent networks do; yields records, not text."""
