from .scoring import Score as Score
from .scoring import compare as compare
from .scoring import evaluate as evaluate
from .scoring import image_files as image_files
from .scoring import means as means
from .scoring import protocol as protocol
from .scoring import read_image as read_image
from .scoring import score as score
