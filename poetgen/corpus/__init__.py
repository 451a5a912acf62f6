"""From other people's files to clean poems. Knows nothing of ids, models or screens.

readers and chinese_poetry read files into batches of records; cleaning turns a batch into poems
or into reasons; duplicates finds what came twice; importing runs them all; store keeps the result.
"""
