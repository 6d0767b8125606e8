"""The networks of the literature, one file per paper; importing this package registers them."""

from .carn import CARN as CARN
from .csnln import CSNLN as CSNLN
from .dbpn import DDBPN as DDBPN
from .drcn import DRCN as DRCN
from .drn import DRN as DRN
from .drn import DualModel as DualModel
from .drrn import DRRN as DRRN
from .dsrn import DSRN as DSRN
from .edsr import EDSR as EDSR
from .espcn import ESPCN as ESPCN
from .fsrcnn import FSRCNN as FSRCNN
from .lapsrn import LapSRN as LapSRN
from .mdsr import MDSR as MDSR
from .memnet import MemNet as MemNet
from .ms_lapsrn import MSLapSRN as MSLapSRN
from .msrresnet import MSRResNet as MSRResNet
from .prosr import ProSR as ProSR
from .rcan import RCAN as RCAN
from .rdn import RDN as RDN
from .rednet import REDNet as REDNet
from .san import SAN as SAN
from .srcnn import SRCNN as SRCNN
from .srdensenet import SRDenseNet as SRDenseNet
from .srresnet import SRGANDiscriminator as SRGANDiscriminator
from .srresnet import SRResNet as SRResNet
from .vdsr import VDSR as VDSR
