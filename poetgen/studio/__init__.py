"""The studio: writing with the machine, line by line, in a terminal.

    drafts      a draft: what was asked for, what stands there, what is locked    (pure)
    session     the drafts side by side; undo and redo                            (pure)
    keeping     the drafts on disk, so that no crash loses one
    workers     the models, and what they are asked to do off the screen's thread
    text        every action and its key, and the words that explain a finding
    widgets/    the parts of the screen
    screens/    what opens over it
    app         brings them together

Nothing below imports it.
"""
