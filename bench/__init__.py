"""Benchmarks against named peers, on real servers: `.venv/bin/python -m bench [NAME…] [--quick] [--write]`.

The machine is noisy, so no time stands alone: ours and the peer's runs take turns in one process, and what is printed
is their ratio, round by round.
"""
