"""Runs, traces and registered leaders in MLflow. Only this package knows MLflow; it is imported late."""
