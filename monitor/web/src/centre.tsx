// The SDS and its store, and how old the view is.

import type { ComponentChildren, JSX } from "preact";
import { useSurroundings } from "./surroundings";
import { span, useNow, whole } from "./times";

export function Centre(): JSX.Element {
  const { state, offset_s } = useSurroundings();
  const { head } = state;
  const now = useNow() + offset_s;
  return (
    <section class="panel centre" aria-labelledby="centre-title" id="centre">
      <h2 id="centre-title">SDS and store</h2>
      <dl class="facts">
        {head.sds.map((sds) => (
          <Fact key={`${sds.name} ${sds.address}`} name={`SDS ${sds.name}`}>
            {sds.role} at <span class="address">{sds.address}</span>
            {sds.uptime_s !== null && `, up ${span(sds.uptime_s)}`}
          </Fact>
        ))}
        <Fact name="Store">
          {head.store.state}
          {head.store.last_write_s !== null && `, last write ${whole(head.store.last_write_s)} ago`}
        </Fact>
        <Fact name="Table">
          number {head.seq} of the SDS's run {head.incarnation}
        </Fact>
        <Fact name="This view">{head.heard_at === null ? "nothing heard of the SDS yet" : `heard of the SDS ${whole(now - head.heard_at)} ago`}</Fact>
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
