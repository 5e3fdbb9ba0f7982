"""What one does with trained adapters: merge several, prune one, convert.

Pure functions on ``Adapter`` values: inputs are never changed, no model is needed.
"""
