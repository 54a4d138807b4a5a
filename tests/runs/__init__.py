"""Whole runs on a real Ray; a package, so that its tests share one."""
