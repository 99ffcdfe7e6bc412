"""ProdLens: do our AI coding assistants help us deliver?"""

import os

# Our matrices are small: more threads of BLAS than one wait for each other, and on a busy machine made the panel of 50
# developers fifteen times as slow. It counts only where it is set before numpy is loaded; who sets it is obeyed.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
