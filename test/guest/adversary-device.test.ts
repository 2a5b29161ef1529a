// The worst legal processor on Device memory: see test/helpers/adversary-campaign.ts for the table.

import { campaign } from '../helpers/adversary-campaign.ts';

campaign(['Device-GRE', 'Device-nGRE', 'Device-nGnRE', 'Device-nGnRnE']);
