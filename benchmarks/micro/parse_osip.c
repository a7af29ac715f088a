/* libosip2: a message made, parsed and freed by its usual calls.
 * Arguments: file, batches, rounds. */
#include <sys/time.h>
#include <osip2/osip.h>
#include <osipparser2/osip_parser.h>
#include "peer.h"

static int parse(char *data, size_t length) {
    osip_message_t *message;
    int good;
    if (osip_message_init(&message) != 0) return 0;
    good = osip_message_parse(message, data, length) == 0 && message->cseq != NULL;
    osip_message_free(message);
    return good;
}

int main(int argc, char **argv) {
    osip_t *osip;
    if (argc != 4 || osip_init(&osip) != 0) return 1;
    peer_read(argv[1]);
    peer_run(atoi(argv[2]), atoi(argv[3]), parse);
    return 0;
}
