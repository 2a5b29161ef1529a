// The worst legal processor on Normal memory: see test/helpers/adversary-campaign.ts for the table.

import { campaign } from '../helpers/adversary-campaign.ts';

campaign(['Normal-WB', 'Normal-WT', 'Normal-NC']);
