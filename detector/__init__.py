"""Zero-shot anomaly detection and localisation with FiLo (ACM MM 2024)."""
