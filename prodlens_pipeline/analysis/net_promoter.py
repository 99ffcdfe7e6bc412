"""The net promoter score of a sample with its interval. Belongs here: the formula. Does not: whose answers count."""

from dataclasses import dataclass

import scipy

LEVEL = 0.95
_ADDED = 3
"""Made-up answers that draw a small sample from the ends: a quarter promoters, a quarter detractors, half neither."""


@dataclass(frozen=True)
class NetPromoter:
    """Promoters minus detractors in points of 100 respondents (-100 to 100), and its 95 % interval."""

    score: float
    low: float
    high: float


def net_promoter(promoters: int, detractors: int, respondents: int) -> NetPromoter:
    """The score of at least one independent respondent.

    The interval is the adjusted Wald interval of a difference of two shares of one multinomial sample, with three
    answers added (3/4 promoters, 3/4 detractors, 3/2 passives): of six methods the one whose coverage is nearest to
    95 % in small samples (B. Rocks, "Interval Estimation for the 'Net Promoter Score'", The American Statistician
    70(4), 2016, 365-372, doi:10.1080/00031305.2016.1158124). An interval for a mean would take 11 answers for a
    normal distribution, and one for a single share would miss that the two shares exclude each other.
    """
    size = respondents + _ADDED
    liked, disliked = (promoters + _ADDED / 4) / size, (detractors + _ADDED / 4) / size
    middle = liked - disliked
    half = float(scipy.special.ndtri((1 + LEVEL) / 2)) * ((liked + disliked - middle**2) / size) ** 0.5
    return NetPromoter(
        score=100 * (promoters - detractors) / respondents,
        low=max(-100.0, 100 * (middle - half)),
        high=min(100.0, 100 * (middle + half)),
    )
