/* Sofia-SIP: a message made, given its octets, extracted and destroyed.
 * Arguments: file, batches, rounds. */
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_buffer.h>
#include <sofia-sip/msg_parser.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include "peer.h"

static int parse(char *data, size_t length) {
    msg_iovec_t place[2];
    msg_t *message = msg_create(sip_default_mclass(), 0);
    sip_t *sip;
    int good;
    if (msg_recv_iovec(message, place, 1, length, 1) < 1) return 0;
    memcpy(place[0].mv_base, data, length);
    msg_recv_commit(message, length, 1);
    good = msg_extract(message) > 0;
    sip = sip_object(message);
    good = good && sip->sip_cseq != NULL && sip->sip_error == NULL;
    msg_destroy(message);
    return good;
}

int main(int argc, char **argv) {
    if (argc != 4) return 1;
    peer_read(argv[1]);
    peer_run(atoi(argv[2]), atoi(argv[3]), parse);
    return 0;
}
