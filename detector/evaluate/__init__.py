"""Which description version is better, by how much, and how sure that is.

images -> records (one pass, every variant) -> metrics, intervals, contributions -> tables and report
"""
