"""The networks of the literature, one file per paper; importing this package registers them."""

from .dbpn import DDBPN as DDBPN
from .edsr import EDSR as EDSR
from .espcn import ESPCN as ESPCN
from .fsrcnn import FSRCNN as FSRCNN
from .lapsrn import LapSRN as LapSRN
from .rcan import RCAN as RCAN
from .srcnn import SRCNN as SRCNN
from .vdsr import VDSR as VDSR
