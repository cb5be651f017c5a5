"""
========================================
Stamps: pictures, sentences and voices
========================================

655 objects of Debian's package tuxpaint-stamps-default have a picture, a sentence in many languages
and recordings of voices that read it. The package is under the GPL and 160 MB large, and the
encoders take minutes, so this page shows the stored output of ``make stamps``.

Bind them yourself
------------------
.. code-block:: python

    # in a checkout, after pip install '.[models]'
    import sys

    sys.path.insert(0, "benchmarks")
    from _stamps import features, folder_of, stamps

    objects = stamps(folder_of())  # downloads the package with apt-get, once
    X = {name: features(objects, name) for name in ("picture", "text", "speech es")}

    from skcentrobind import CentroBindTransformer

    bind = CentroBindTransformer(random_state=0).fit(X)

All anchors, ten splits
-----------------------
.. include:: ../rendered/benchmarks/bench_stamps_losses.rst

.. include:: ../rendered/benchmarks/bench_stamps_stamps_methods.rst

.. include:: ../rendered/benchmarks/bench_stamps_stamps_searches.rst

With sound effects, which most objects lack
-------------------------------------------
.. include:: ../rendered/benchmarks/bench_stamps_stamps__sounds_methods.rst
"""
