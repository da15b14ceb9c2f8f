"""Timings of avmil beside what else does the same, and beside the hardware.

A benchmark is a module with a `run` that yields lines of its table and notes.
"""
