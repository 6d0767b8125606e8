"""The four data flows of super-resolution networks; a network fills the slots of one of them."""

from .iterative import IterativeUpsampling as IterativeUpsampling
from .post import PostUpsampling as PostUpsampling
from .pre import PreUpsampling as PreUpsampling
from .progressive import ProgressiveUpsampling as ProgressiveUpsampling
