// A server's loadlevel of the last minutes, as a line.

import type { JSX } from "preact";

/** How long back the line goes. */
const SHOWN_S = 300;

type Loads = readonly (readonly [number, number])[];

export function Loadline({ loads, level }: { loads: Loads; level: number | null }): JSX.Element {
  const latest = loads[loads.length - 1]?.[0] ?? 0;
  const points = loads
    .filter(([at]) => at >= latest - SHOWN_S)
    .map(([at, load]) => `${(100 * (1 - (latest - at) / SHOWN_S)).toFixed(1)},${(31 - 30 * Math.min(1, Math.max(0, load))).toFixed(1)}`);
  const start = points[0]?.split(",")[0] ?? "0";
  const said = level === null ? "no loadlevel yet" : `loadlevel ${level.toFixed(2)}, highest in five minutes ${highest(loads).toFixed(2)}`;
  return (
    <svg class="loadline" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={said}>
      <path class="ground" d="M0 31H100M0 1H100" />
      {points.length > 1 && <path class="area" d={`M${start},31L${points.join("L")}L100,31Z`} />}
      {points.length > 1 && <polyline class="line" points={points.join(" ")} />}
    </svg>
  );
}

function highest(loads: Loads): number {
  return loads.reduce((most, [, load]) => Math.max(most, load), 0);
}
