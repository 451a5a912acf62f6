"""The studio in a browser.

    server      the pages and the sockets; who may come in, how many, and for how long
    visitors    what tells one visitor from another, and where their things are kept
    process     a session: a studio in a process of its own, its screen sent on as it is drawn
    session     that process's program
    driver      how it ends when the server does
    pages/      what the browser is sent; the terminal in it is textual-serve's

It builds on textual-serve, by the makers of Textual, and takes its page's place: that one loads a
font from the internet and knows no limits.
"""
