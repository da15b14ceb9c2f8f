"""Results to tables, figures and pages.

In: results of `evaluation`, frames. Out: text, Markdown, LaTeX, CSV, JSON,
HTML, PNG and SVG. Knows neither TensorFlow nor Keras.
"""
