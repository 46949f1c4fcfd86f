// `[node]`: who this node is and where its state lies.
import type { Fields } from "../table.ts"
import { decimal, duration, integer, text } from "../settingCodecs.ts"

export interface NodeSettings {
  /** `name@host`; unique in a cluster. 3 to 255 characters. */
  readonly name: string
  /** Directory of everything the node keeps; made if missing. Not writable: exit 74. */
  readonly dataDir: string
  /** 0 s to 10 min. On SIGTERM: how long clients and flushes are waited for before the process ends all the same. */
  readonly shutdownTimeoutMillis: number
  /**
   * Share (0 to 1) of the memory the process may have (the container's limit, else the machine's); 0 is off. Above it new
   * connections are refused with 0x89 Server busy (3.x: 3) until memory is below it again.
   */
  readonly memoryHighWatermark: number
  /** 1 to 256 processes behind the same ports, each a node of one cluster. A change needs a restart. */
  readonly workers: number
  /** 0; in a process that was started for `workers` its number, from 1 on. Nobody sets it. */
  readonly worker: number
}

const SECOND = 1_000

export const nodeDefaults: NodeSettings = {
  name: "emqttd@127.0.0.1",
  dataDir: "./data",
  shutdownTimeoutMillis: 10 * SECOND,
  memoryHighWatermark: 0.8,
  workers: 1,
  worker: 0
}

export const node: Fields<NodeSettings> = {
  name: [
    "name",
    text(
      `a name like "emqttd@10.0.0.1", at most 255 characters`,
      (value) => value.length <= 255 && /^[\w.-]+@[\w.:-]+$/.test(value)
    )
  ],
  dataDir: ["data_dir", text("the path of a directory", (value) => value !== "" && !value.includes("\0"))],
  shutdownTimeoutMillis: ["shutdown_timeout", duration({ minimum: "0s", maximum: "10m" })],
  memoryHighWatermark: ["memory_high_watermark", decimal(0, 1)],
  workers: ["workers", integer(1, 256)],
  worker: ["worker", integer(0, 256)]
}
