"""Lanes: groups of workers that stay up while trials flow through them.

Its modules are imported one by one: the broker needs no torch, only workers need transformers.
"""
