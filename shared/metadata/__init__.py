"""The metadata database: who may see what, what charts and dashboards are, and what happened to renders."""
