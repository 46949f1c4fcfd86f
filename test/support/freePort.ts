// A port that nobody listened on a moment ago: for programs that cannot say which one the system chose for them.
import { createServer } from "node:net"

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const tried = createServer()
    tried.once("error", reject)
    tried.listen(0, "127.0.0.1", () => {
      const address = tried.address()
      tried.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
