// Arrows from each holder to its secondary, and the keep-alives on them.

import type { JSX } from "preact";
import type { Drawing, Route } from "./routes";
import { hue } from "./signs";
import { useSurroundings } from "./surroundings";

export function Arrows({ drawing }: { drawing: Drawing }): JSX.Element {
  const { state } = useSurroundings();
  return (
    <>
      <svg class="arrows" aria-hidden="true" focusable="false">
        {drawing.routes.map((route) => (
          <Arrow key={route.wire.service} route={route} />
        ))}
      </svg>
      <ul class="unseen">
        {drawing.routes.map(({ wire }) => (
          <li key={wire.service}>
            {wire.service}: {wire.from} holds it, {wire.to} stands in
            {state.services[wire.service]?.beating ? " and hears its keep-alives" : "; no keep-alives now"}
          </li>
        ))}
      </ul>
    </>
  );
}

function Arrow({ route }: { route: Route }): JSX.Element {
  const { state } = useSurroundings();
  const service = state.services[route.wire.service];
  const beating = service?.beating ?? false;
  const { x, y } = route.end;
  const name = beating ? route.wire.service : `${route.wire.service}: no keep-alives`;
  const width = 18 + name.length * 8;
  return (
    <g class={`arrow ${beating ? "beating" : "mute"} ${hue(route.wire.service, state.services)}`}>
      <path class="way" d={route.path} />
      <path class="head" d={`M${x} ${y}l-5 9h10z`} />
      {beating && <circle class="pulse" r="4.5" style={{ offsetPath: `path("${route.path}")` }} />}
      <rect class="plate" x={route.label.x - width / 2} y={route.label.y - 9} width={width} height="18" rx="9" />
      <text x={route.label.x} y={route.label.y + 4}>
        {name}
      </text>
    </g>
  );
}
