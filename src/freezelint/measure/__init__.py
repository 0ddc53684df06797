"""What each way of freezing costs: one model, many strategies, each in a fresh process, and a table of the figures.

`strategies` and `models` are data; `plan` turns a request into jobs; `process` runs a job in a process of its own,
where `freezelint.live.trial` does the work with torch; `search` looks for the largest batch; `rows` holds what came
back, `claims` holds common beliefs against it, and `text`, `markdown`, `html` and `json` show it. Nothing here imports
torch, so a strategy that brings its process down is a row of the table and no more.
"""
